-- Records what a customer has said.
--
-- KEYS 1 customer
-- ARGV 2 customer  3 sender or *  4 in or out  5 at µs  6 version
-- Returns 1, or 0 if something newer is known.

return say(ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6])
