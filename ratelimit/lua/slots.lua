-- Reads when the places of a pool come back, in equal steps over one window.
-- Each step is one count, so a window of millions costs no more than a small one.
--
-- KEYS 1 pool's window
-- ARGV 2 how many steps
-- Returns now, the length of a window, then the places that come back within
--      each step from now on; all as text.

local steps = tonumber(ARGV[2])
local row = { us(now), us(SPAN) }
for step = 1, steps do
  local from = us(cutoff + math.floor(SPAN * (step - 1) / steps))
  local to = step < steps and us(cutoff + math.floor(SPAN * step / steps)) or '+inf'
  row[#row + 1] = us(call('ZCOUNT', KEYS[1], '(' .. from, to))
end
return row
