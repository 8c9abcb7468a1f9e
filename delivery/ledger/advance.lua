-- Moves the position forward, never back.
--
-- KEYS 1 position
-- ARGV 1 a log sequence, decimal. Compared as text: a Lua number is exact only
--        to 2^53
-- returns the position
local held, new = redis.call('GET', KEYS[1]) or '0', ARGV[1]
if #new > #held or (#new == #held and new > held) then
  redis.call('SET', KEYS[1], new)
  return new
end
return held
