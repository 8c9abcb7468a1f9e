package senders

import "context"

type actorKey struct{}

// By names who asks for the changes that are made with the context it returns:
// their events say it as the last word of their reason, by=name. An empty name
// says nothing.
func By(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// by is the last word of a reason, empty where nobody is named.
func by(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return field("by", given(name))
}
