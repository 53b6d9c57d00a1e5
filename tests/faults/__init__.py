"""What a sync survives: kills, storms of bad answers, limits. The vendors' own worlds in the sandbox are the judge.

victim.py      a process that can be killed, forked from one that has the libraries loaded
scenarios/     per vendor: which streams are tried, what its world holds (the census), how it changes meanwhile
oracle.py      comparing the census with what landed
"""
