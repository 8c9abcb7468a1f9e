-- Parks a sender's jobs for a while.
--
-- KEYS 1 sender
-- ARGV 10 reason  11 until µs
-- Returns 1.

call('HSET', KEYS[1], 'fault', ARGV[10], 'until', ARGV[11])
return 1
