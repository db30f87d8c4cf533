// The one list of operations. Included with MERIT_OPERATION(op) defined.
MERIT_OPERATION(advantage_group)
