"""Arithmetic without rounding: arrays of ring elements, their derivatives, and linear algebra modulo primes."""
