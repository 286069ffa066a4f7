"""Classification: a network that names the class of a slice, and can say besides that a slice is made up."""

from torch import Tensor, nn

from ctgan_utils.networks.critics import ConvCritic


class Classifier(nn.Module):
    """Images [N, 1, S, S] -> scores of K classes, float32 [N, K]: the critic of DCGAN with K outputs.

    Normalised per image (layer normalisation): a batch norm would keep averages of real and generated slices
    mixed, if both are shown to it in training, and use them on real ones alone.
    """

    def __init__(self, image_size: int, classes: int, width: int) -> None:
        super().__init__()
        self.layers = ConvCritic(image_size, width, norm="layer").layers
        self.last = nn.Linear(width * image_size // 8, classes)

    def features(self, images: Tensor) -> Tensor:
        """The last maps, each averaged over its 4x4 places, float32 [N, C]."""
        return self.layers(images).float().mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.features(images))
