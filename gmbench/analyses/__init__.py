"""What can be asked of stored agents: one question a file, its command made from it.

A module ``my_question.py`` registers a :class:`~gmbench.report.question.Question` under the name
``my-question``, the command's. Its docstring's first line is what ``gmbench --help`` says.
"""
