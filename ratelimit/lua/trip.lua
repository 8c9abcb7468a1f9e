-- Parks a sender's jobs for a while.
--
-- KEYS 1 sender
-- ARGV 2 reason  3 until µs
-- Returns 1.

call('HSET', KEYS[1], 'fault', ARGV[2], 'until', ARGV[3])
return 1
