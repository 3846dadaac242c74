collect_ignore = ["make.py"]  # it needs packages that the tests do not
