-- Reads the present epoch and the one the gate was opened for.
--
-- KEYS 1 gate
-- Returns both, empty for none.

local epoch = EMBEDDED
if epoch == '' then
  epoch = string.match(call('INFO', 'replication'), 'master_replid:(%x+)') or ''
end

return { epoch, call('HGET', KEYS[1], 'epoch') or '' }
