-- Replaces a pool's counters of waiting jobs.
--
-- KEYS 1 waiting
-- ARGV 10 version that was read  11 high  12 normal  13 low
-- Returns 1, or 0 if anything was marked or unmarked since.

if (call('HGET', KEYS[1], 'version') or '0') ~= ARGV[10] then
  return 0
end
call('HSET', KEYS[1], '0', ARGV[11], '1', ARGV[12], '2', ARGV[13])
call('HINCRBY', KEYS[1], 'version', 1)
return 1
