"""Templates of sentences on a figure and its differences between groups.

Fields in braces are filled by `equiderm.audit.report.naming.Naming.fill`: names of positive and
negative images, the group (``at``), the other groups (``rest``), and numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from equiderm.format import number, whole_of_100

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_DIGITS = 4  # more than usual, where numbers are close


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

    def write(self, share: float, digits: int = 0) -> str:
        """Return a shown figure, with more ``digits`` than usual; of 100 as in `whole_of_100`."""
        return whole_of_100(share) if self.of_100 and not digits else self._number(share, digits)

    def write_above_0(self, size: float, digits: int = 0) -> str:
        """Return a size above 0 as text, with "under 1" instead of 0."""
        text = self._number(size, digits)
        unit = 10**-digits if self.of_100 else 10 ** -(2 + digits)
        return text if float(text) > 0 else f"under {unit:g}"

    def write_limit(self, limit: float) -> str:
        """Return an acceptable difference in words: "10 in 100", "0.05 in the AUROC"."""
        return self.limit.format(size=f"{100 * limit if self.of_100 else limit:g}")

    def write_pair(self, one: float, other: float) -> tuple[str, str]:
        """Return two shown figures as text, with more digits where they would be the same."""
        digits = self._digits(lambda digits: self.write(one, digits) != self.write(other, digits))
        return self.write(one, digits), self.write(other, digits)

    def write_difference(self, one: float, other: float, low: float, high: float) -> dict[str, str]:
        """Return the words of `difference`: two shown figures, their difference, and its interval.

        The difference is that of the numbers as they are written. There are as many digits as it
        takes for it to be above 0 and within its interval as written.

        Args:
            one: The group's figure, as shown.
            other: That of the others.
            low: The smaller end of the interval of the difference, without its sign.
            high: The larger end.
        """

        def size(digits: int) -> str:
            sides = [float(self._number(share, digits)) for share in (one, other)]
            return self._number(abs(sides[0] - sides[1]) / (100 if self.of_100 else 1), digits)

        def fits(digits: int) -> bool:
            near, far = (float(self._number(end, digits)) for end in (low, high))
            return float(size(digits)) > 0 and near <= float(size(digits)) <= far

        digits = self._digits(fits)
        texts = {"one": self.write(one, digits), "other": self.write(other, digits)}
        if not self.of_100:
            texts |= {f"{key}_of_100": number(100 * float(texts[key]), digits) for key in texts}
        ends = {"low": self.write_above_0(low, digits), "high": self.write_above_0(high, digits)}
        return texts | {"size": size(digits)} | ends

    def _number(self, share: float, digits: int) -> str:
        return number(100 * share, digits) if self.of_100 else number(share, 2 + digits)

    def _digits(self, fits: Callable[[int], bool]) -> int:
        return next((digits for digits in range(MOST_DIGITS) if fits(digits)), 0)


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
