"""Work orders: GitHub issues as the company's operational database.

Belongs here: intake, policy, the queue, the agents, effects on GitHub, recovery. Does not belong here: GitHub's
protocol (`resources.github`), jobs and sensors, what the sandbox plays.
"""
