//go:build crash

package repository

import "github.com/saypro/backupd/internal/crash"

// watchPoints has the process of the model end at any point of crash.
func watchPoints(m *machine) { crash.Watch(func(crash.Name) { m.point() }) }
