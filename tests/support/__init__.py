"""What the tests share: helpers whose names say their role; tests/README.md lists them."""
