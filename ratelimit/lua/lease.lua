-- Takes, renews or ends a lease.
--
-- KEYS 1 lease
-- ARGV 2 holder  3 ms to hold it (0: end it)
-- Returns 1 if the holder has it now, else 0.

local held = call('GET', KEYS[1])
if held and held ~= ARGV[2] then
  return 0
end
if ARGV[3] == '0' then
  call('DEL', KEYS[1])
  return 0
end
call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
