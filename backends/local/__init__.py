"""Jobs on this machine: a folder holds each, a supervisor process watches over it, any shell can look."""
