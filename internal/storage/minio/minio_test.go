package minio_test

import (
	"testing"

	"github.com/saypro/backupd/internal/storage/storagetest/sitetest"
	"github.com/saypro/backupd/internal/testenv"
)

func TestConformanceMinIO(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Onsite, "minio")
}

func TestConformanceVersitygw(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Cloud, "minio")
}
