# The whole table of mclust: its start, fourteen shapes, one to nine components; prints seconds, then BIC by shape.
#
# Rscript selection.R FILE REPEATS; FILE is a CSV without a header.

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
x <- as.matrix(read.csv(arguments[1], header = FALSE))
times <- numeric(0)
for (i in seq_len(as.integer(arguments[2]))) {
  began <- as.numeric(Sys.time())
  found <- mclustBIC(x, G = 1:9, verbose = FALSE)
  times <- c(times, as.numeric(Sys.time()) - began)
}
cat(paste(formatC(times, digits = 6, format = "g"), collapse = " "), "\n")
for (name in colnames(found)) cat(name, formatC(found[, name], digits = 15, format = "g"), "\n")
