-- Takes, renews or ends a lease.
--
-- KEYS 1 lease
-- ARGV 10 holder  11 ms to hold it (0: end it)
-- Returns 1 if the holder has it now, else 0.

local held = call('GET', KEYS[1])
if held and held ~= ARGV[10] then
  return 0
end
if ARGV[11] == '0' then
  call('DEL', KEYS[1])
  return 0
end
call('SET', KEYS[1], ARGV[10], 'PX', ARGV[11])
return 1
