-- Moves the position on, if it is where the caller left it.
--
-- KEYS 1 position
-- ARGV 1 the log sequence expected, 2 the next one, decimal. Compared as text:
--        a Lua number is exact only to 2^53
-- returns 1, or 0 with nothing written when the position is another, or back
--         at the start because Redis was emptied
local held = redis.call('GET', KEYS[1]) or '0'
-- A repetition of the run that wrote it is told so, and writes nothing.
if held == ARGV[2] then
  return 1
end
if held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
