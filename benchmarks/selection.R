# The whole table of mclust: its start, fourteen shapes, one to nine components; prints seconds, then BIC by shape.
#
# Rscript selection.R FILE REPEATS CUTS; FILE is a CSV without a header, and CUTS becomes one: the partitions into one
# to nine parts that mclust starts from. The first line has the seconds of each repeat, the second those that the tree of
# these partitions takes by itself.

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
x <- as.matrix(read.csv(arguments[1], header = FALSE))
times <- trees <- numeric(0)
for (i in seq_len(as.integer(arguments[2]))) {
  began <- as.numeric(Sys.time())
  found <- mclustBIC(x, G = 1:9, verbose = FALSE)
  ended <- as.numeric(Sys.time())
  tree <- hc(x, modelName = mclust.options("hcModelName"), use = mclust.options("hcUse"))
  cuts <- hclass(tree, 1:9)
  trees <- c(trees, as.numeric(Sys.time()) - ended)
  times <- c(times, ended - began)
}
write.table(cuts, arguments[3], sep = ",", row.names = FALSE, col.names = FALSE)
for (line in list(times, trees)) cat(paste(formatC(line, digits = 6, format = "g"), collapse = " "), "\n")
for (name in colnames(found)) cat(name, formatC(found[, name], digits = 15, format = "g"), "\n")
