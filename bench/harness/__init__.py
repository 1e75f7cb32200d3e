"""What the benchmarks share: how they measure, when a round counts, and how the result is shown.

A benchmark is a list of `rounds.Probe`: who is measured, and a function that measures once. In every round
each probe is measured, in turn, once or in several slices, so that whatever else the machine does hits all of
them alike; the first round warms up and does not count. A **ratio** is taken inside one round, of two figures
that were measured moments apart, and only then is the median taken over the rounds: it is steadier than a
ratio of medians. Every median is shown with its quartiles.

A round counts if the machine was free when it began, and the programs of others took little of it meanwhile:
load changes the ratios, not only the times.

====================  ======================================================================
module                what it has
====================  ======================================================================
`spread`              medians with quartiles; ratios, round by round. Pure
`machine`             what others take of the CPU; what a server takes, and where it runs
`rounds`              interleaved rounds, and which of them count
`peers`               servers as processes; who is left out because it is not installed
`goals`               what is promised, as a figure or a ratio with a bound
`report`              tables for the terminal, and the JSON file beside them
`plot`                one SVG picture: medians and quartiles on a logarithmic axis
`command`             the command line of a benchmark, from the first round to the picture
====================  ======================================================================

Source: R. Jain, *The Art of Computer Systems Performance Analysis*, 1991, ch. 12 and 13 (medians, quartiles,
and ratios of paired measurements).
"""
