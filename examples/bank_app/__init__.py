"""An example of an app on the profiles: login, session, permissions, offers.

``make app`` runs it on what ``make demo KEEP=1`` has left; README.md tells what it shows.
"""
