-- Reads the present epoch and the one the gate was opened for.
--
-- KEYS 1 epoch
-- Returns both, empty for none.

return { epoch(), call('GET', KEYS[1]) or '' }
