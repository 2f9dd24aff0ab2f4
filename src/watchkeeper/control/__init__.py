"""What is done about models, and what is measured of them: the functions everybody calls.

The command line, the server and the control loop only parse, call these and print.
"""
