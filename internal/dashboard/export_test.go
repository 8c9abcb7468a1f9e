package dashboard

// What the tests look at from outside.
var (
	ParseQuery = parseQuery
	DrainsAt   = drainsAt
)
