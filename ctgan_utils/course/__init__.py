"""The course: notebooks executed, copied for a class, traced to the thesis. It needs the repository."""

from importlib.util import find_spec

from ctgan_utils.runtime import IN_CHECKOUT, UserError

# said on import, before the modules here ask for packages that only the course needs
if not IN_CHECKOUT:
    raise UserError("the notebooks are not in the installed package; run this in a clone of the repository")
for _name in ("nbformat", "papermill", "nbconvert"):
    if find_spec(_name) is None:
        raise UserError(f"{_name} is not installed; in the repository, pip install -e '.[course]' mends it")
