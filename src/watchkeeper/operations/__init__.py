"""Operations: every change of state, with its rules.

The command line, the control API, the dashboard and background jobs parse their input, call an
operation and print what it returns. Rules are applied inside an operation, never by its callers.
"""
