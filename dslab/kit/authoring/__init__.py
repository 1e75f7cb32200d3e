"""For who makes a lab: the students' files, mutants and proofs, releases, generated pages.

- `markers`, `skeleton`, `handout`: a marked solution becomes the file that students get, and get back.
- `mistakes`, `mutants`, `prove`: how often the grader is wrong.
- `release`: what students get, and a search of it for solutions.
- `docs`: generated blocks of the Markdown pages.
"""
