// Package testenv gives tests the real things: PostgreSQL servers, a MinIO
// server and a second, independent S3 service, all of them throwaway, on
// loopback or unix sockets, and gone when the test process ends, however it
// ends. A program that is missing fails the test; nothing is ever skipped.
package testenv
