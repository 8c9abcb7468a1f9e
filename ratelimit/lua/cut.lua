-- Cuts a sender's rate in half, and never below an eighth.
--
-- KEYS 1 sender
-- ARGV 2 sender  3 when the message was granted that was too fast, µs
-- Returns 1, or 0 if that was before the last cut; and the rate now, as text.

local sender = read_sender(ARGV[2], nil)
if sender.cut_at and tonumber(ARGV[3]) <= sender.cut_at then
  return { 0, tostring(sender.mps) }
end
local share = math.max(0.125, sender.share / 2)
call('HSET', KEYS[1], 'cut', string.format('%.6f|%d', share, now))
return { 1, tostring(sender.set_mps * share) }
