"""The administrators' pages: one module for each feature, plain function views, templates in templates/console/.

Every view is behind `access.admin_only`: strangers are sent to the sign-in page, users who are no administrators are
told that there is nothing here (404). Every change goes through `accounts.services`, which also writes the audit entry.
"""
