-- Reads the present epoch and the one the gate was opened for.
--
-- KEYS 1 gate
-- Returns both, empty for none.

return { epoch(), call('HGET', KEYS[1], 'epoch') or '' }
