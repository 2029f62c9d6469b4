"""The fast forms: what users call, by the names that `refconv` gives them.

One file for each family of operators; what they are computed with is `refconv.engine`.
"""
