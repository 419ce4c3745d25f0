"""Templates of sentences on a figure and its differences between groups.

Fields in braces are filled by `equiderm.audit.report.naming.Naming.fill`: names of positive and
negative images, the group (``at``), the other groups (``rest``), and numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from equiderm.format import number, of_100


@dataclass(frozen=True)
class Phrases:
    """The words of one figure that gets a verdict.

    Attributes:
        worse: The headline if a group is worse off.
        better: The headline if a group is better off.
        difference: Both figures, their difference (``size``, ``way``), and the interval.
        meaning: What a worse figure means for 100 patients.
        look: Which images to look at, and of which group (``there``).
        compared: The figures of two models.
        limit: An acceptable difference (``size``).
        ways: The words for a smaller and a larger number.
        of_100: Whether numbers are whole numbers out of 100; else they have two decimals.
        complement: Whether one minus the figure is shown: false alarms for specificity.
        cutoff: Whether a worse figure raises the question of another cut-off.
    """

    worse: str
    better: str
    difference: str
    meaning: str
    look: str
    compared: str
    limit: str = "{size} in 100"
    ways: tuple[str, str] = ("fewer", "more")
    of_100: bool = True
    complement: bool = False
    cutoff: bool = False

    def shown(self, value: float) -> float:
        """Return the number to show for a figure: itself, or one minus it."""
        return 1 - value if self.complement else value

    def write(self, share: float) -> str:
        """Return a shown figure, or the size of a difference, as text."""
        return str(of_100(share)) if self.of_100 else number(share, 2)

    def write_above_0(self, size: float) -> str:
        """Return a size above 0 as text, with "under 1" instead of 0."""
        text = self.write(size)
        return text if text != self.write(0) else "under 1" if self.of_100 else "under 0.01"

    def write_limit(self, limit: float) -> str:
        """Return an acceptable difference in words: "10 in 100", "0.05 in the AUROC"."""
        return self.limit.format(size=of_100(limit) if self.of_100 else f"{limit:g}")

    def apart(self, one: float, other: float) -> str:
        """Return the difference of two numbers as shown, after rounding."""
        if self.of_100:
            return str(abs(of_100(one) - of_100(other)))
        return number(abs(round(one, 2) - round(other, 2)), 2)


AUROC = Phrases(
    worse="It tells {positives} from other images less well {at}.",
    better="It tells {positives} from other images better {at}.",
    difference="The AUROC is {one} {at} and {other} {rest}: {size} {way} (95 % interval {low} to "
    "{high}).",
    meaning="Of 100 pairs of {a_finding} and another image, it gives the first the higher score "
    "in {one_of_100} {at} and in {other_of_100} {rest}; another cut-off would not change that.",
    look="Look at the {positives} that it missed {there} (listed {where}), at how many such images "
    "it was trained on, and at who labelled them.",
    compared="{better} tells {positives} from other images better: AUROC {one} against {other}",
    limit="{size} in the AUROC",
    ways=("lower", "higher"),
    of_100=False,
)
SENSITIVITY = Phrases(
    worse="It misses more {positives} {at}.",
    better="It finds more {positives} {at} than elsewhere.",
    difference="Of 100 {positives} it finds {one} {at}, {other} {rest}: {size} {way} (95 % "
    "interval {low} to {high} {way}).",
    meaning="Of every 100 {positives} {at}, about {size} more would be missed than {rest}.",
    look=AUROC.look,
    compared="{better} finds {one} of 100 {positives} and {worse} {other}",
    cutoff=True,
)
SPECIFICITY = Phrases(
    worse="It raises more false alarms {at}.",
    better="It raises fewer false alarms {at} than elsewhere.",
    difference="Of 100 {negatives} it flags {one} {at}, {other} {rest}: {size} {way} (95 % "
    "interval {low} to {high} {way}).",
    meaning="Of every 100 {negatives} {at}, about {size} more would be flagged than {rest}.",
    look="Look at the {negatives} that it flagged {there}, at how many such images it was trained "
    "on, and at who labelled them.",
    compared="{better} raises {one} false alarms per 100 {negatives} and {worse} {other}",
    complement=True,
)
