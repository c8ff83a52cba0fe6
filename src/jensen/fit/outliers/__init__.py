"""Rows that belong to no component: noise, and trimming."""
