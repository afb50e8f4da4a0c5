package s3_test

import (
	"testing"

	"github.com/saypro/backupd/internal/storage/storagetest/sitetest"
	"github.com/saypro/backupd/internal/testenv"
)

func TestConformanceVersitygw(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Cloud, "s3")
}

func TestConformanceMinIO(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Onsite, "s3")
}
