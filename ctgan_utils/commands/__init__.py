"""What each command of the command line does with its parsed arguments."""

from ctgan_utils.commands.campaign import run_campaign
from ctgan_utils.commands.course import run_course, run_notebooks, run_slides, run_student
from ctgan_utils.commands.evaluate import run_evaluate
from ctgan_utils.commands.generators import run_experiments, run_export, run_features, run_sample
from ctgan_utils.commands.quiz import run_quiz
from ctgan_utils.commands.slices import run_data_check, run_data_kaggle, run_data_mednist, run_phantom
from ctgan_utils.commands.train import run_train

__all__ = [
    "run_campaign",
    "run_course",
    "run_data_check",
    "run_data_kaggle",
    "run_data_mednist",
    "run_evaluate",
    "run_experiments",
    "run_export",
    "run_features",
    "run_notebooks",
    "run_phantom",
    "run_quiz",
    "run_sample",
    "run_slides",
    "run_student",
    "run_train",
]
