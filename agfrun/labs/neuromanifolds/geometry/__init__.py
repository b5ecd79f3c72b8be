"""What is measured of a neuromanifold beside its dimension: its span, singularities, exposed strata and fibres."""
