package controls

import (
	"context"
	"log/slog"
)

// planted takes what the parts of a round say of the faults that were planted in
// their way: it is meant to be so, and must not look as if it were said of the
// real sites. It is kept for who looks for it, at the level of debugging and marked.
type planted struct{ slog.Handler }

func asPlanted(log *slog.Logger) *slog.Logger {
	return slog.New(planted{log.Handler().WithAttrs([]slog.Attr{slog.Bool("planted_by_a_control", true)})})
}

func (p planted) Enabled(ctx context.Context, _ slog.Level) bool {
	return p.Handler.Enabled(ctx, slog.LevelDebug)
}

func (p planted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return p.Handler.Handle(ctx, r)
}

func (p planted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return planted{p.Handler.WithAttrs(attrs)}
}

func (p planted) WithGroup(name string) slog.Handler { return planted{p.Handler.WithGroup(name)} }
