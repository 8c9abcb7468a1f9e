-- Records what a customer has said.
--
-- KEYS 1 consents of the customer
-- ARGV 10 sender or *  11 in or out  12 at µs  13 version
-- Returns 1, or 0 if something newer is known.

return say(KEYS[1], ARGV[10], ARGV[11], tonumber(ARGV[12]), ARGV[13])
