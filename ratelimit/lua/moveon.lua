-- Takes the senders that move into a pool one step further.
--
-- KEYS 1 pool
-- ARGV 2 pool
-- Returns 1 while they still move, else 0.

return move_on(ARGV[2]) and 1 or 0
