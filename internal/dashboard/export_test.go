package dashboard

// What the tests look at from outside.
var ParseQuery = parseQuery

// Clients is how many follow the events.
func (a *API) Clients() int64 { return a.hub.clients.Load() }

// ParseSubscription is parseSubscription without its filter.
func ParseSubscription(raw, header string) (resume bool, last uint64, err error) {
	sub, err := parseSubscription(raw, header)
	return sub.resume, sub.last, err
}

// Routes lists what is served: method, path and scope.
func (a *API) Routes() map[[2]string]Scope {
	routes := map[[2]string]Scope{}
	for _, r := range a.routes() {
		routes[[2]string{r.method, r.path}] = r.scope
	}
	return routes
}

// PageRoutes lists the routes of people, in the same way.
func (a *API) PageRoutes() map[[2]string]Scope {
	routes := map[[2]string]Scope{}
	for _, r := range a.pages() {
		routes[[2]string{r.method, r.path}] = r.scope
	}
	return routes
}

// Config is what the API serves from.
func (a *API) Config() Config { return a.cfg }
