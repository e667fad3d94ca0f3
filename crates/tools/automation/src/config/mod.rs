//! The settings: ansible.cfg, the environment's ANSIBLE_ variables, the defaults.
