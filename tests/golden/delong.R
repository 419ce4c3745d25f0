# pROC's figures for tests/audit/test_delong.py, on scores with many ties.
# Run in tests/golden: Rscript delong.R   (R 4.2.2, pROC 1.18.0 from Debian's r-cran-proc)
# It writes delong_data.csv (what was given to pROC) and delong.csv (what pROC answered).
suppressPackageStartupMessages(library(pROC))
set.seed(20260101)
data <- NULL
answers <- NULL
for (case in 1:8) {
  n <- c(12, 20, 40, 60, 80, 100, 150, 200)[case]
  target <- rbinom(n, 1, c(0.5, 0.3, 0.2, 0.5, 0.1, 0.3, 0.4, 0.2)[case])
  target[1:4] <- c(0, 0, 1, 1)
  steps <- c(4, 10, 5, 20, 10, 50, 8, 100)[case]  # few steps: many ties
  a <- round(plogis(rnorm(n) + 1.2 * target) * steps) / steps
  b <- round(plogis(rnorm(n) + 0.6 * target) * steps) / steps
  data <- rbind(data, data.frame(case, target, a, b))
  one <- roc(target, a, levels = c(0, 1), direction = "<", quiet = TRUE)
  two <- roc(target, b, levels = c(0, 1), direction = "<", quiet = TRUE)
  test <- roc.test(one, two, method = "delong", paired = TRUE)
  answers <- rbind(answers, data.frame(
    case,
    auc_a = as.numeric(auc(one)), auc_b = as.numeric(auc(two)),
    var_a = var(one, method = "delong"), var_b = var(two, method = "delong"),
    cov = cov(one, two, method = "delong"),
    z = as.numeric(test$statistic), p = test$p.value
  ))
}
options(digits = 17)
write.csv(data, "delong_data.csv", row.names = FALSE)
write.csv(format(answers, digits = 17, trim = TRUE), "delong.csv", row.names = FALSE, quote = FALSE)
