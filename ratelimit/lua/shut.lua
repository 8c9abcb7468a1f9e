-- Forgets a customer's last message to a sender.
--
-- KEYS 1 customer
-- ARGV 2 sender  3 customer
-- Returns 1 if there was one, else 0.

return call('DEL', INBOUND_KEY .. ARGV[2] .. ':' .. canonical(ARGV[3]))
