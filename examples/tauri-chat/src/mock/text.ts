export const THOUGHTS = `The question is about rainbows. I should explain refraction first, then reflection inside the drop, and then why the colours part.

A short example in code would help: the angle follows from Snell's law.`;

export const ANSWER = `## How a rainbow comes about

A rainbow appears when **sunlight** meets *drops of water*. Three things happen in each drop:

1. The light is **refracted** as it enters.
2. It is reflected once at the back.
3. It is refracted again as it leaves.

Each colour bends a little differently, so they part:

| Colour | Wavelength | Angle |
| ------ | ---------: | :---: |
| Red    | 700 nm | 42.4° |
| Green  | 530 nm | 41.5° |
| Violet | 400 nm | 40.6° |

The angle can be computed with \`asin\` and Snell's law:

\`\`\`python
from math import asin, degrees, sin

def deviation(incoming: float, n: float = 1.333) -> float:
    """How far a ray turns in a drop of water."""
    inside = asin(sin(incoming) / n)  # Snell's law
    return degrees(2 * incoming - 4 * inside) + 180

print(f"{deviation(1.04):.1f} degrees")
\`\`\`

> You always see a rainbow with the sun *behind* you.

- [x] Sun behind you
- [ ] Rain in front of you

More at [the encyclopedia](https://en.wikipedia.org/wiki/Rainbow). This is not a tag: <b>bold &amp; raw</b>.
`;
