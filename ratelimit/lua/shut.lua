-- Forgets a customer's last message to a sender, unless it came after a time.
--
-- KEYS 1 customer
-- ARGV 2 sender  3 customer  4 time
-- Returns 1 if it forgot one, else 0.

local name = INBOUND_KEY .. ARGV[2] .. ':' .. canonical(ARGV[3])
if tonumber(call('GET', name) or '0') > tonumber(ARGV[4]) then
  return 0
end
return call('DEL', name)
