"""Where jobs are kept: the only place with SQL. `base` is the contract, `sqlite` the default database."""
